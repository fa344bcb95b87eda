-- A table that is wider than the page scrolls in a frame of its own, by keyboard too.
function Table(table)
  local caption = pandoc.utils.stringify(table.caption.long)
  local label = caption == "" and "Table" or caption
  return pandoc.Div(table, {class = "scroll", tabindex = "0", role = "region", ["aria-label"] = label})
end
