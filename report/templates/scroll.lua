-- A table that is wider than the page scrolls in a frame of its own, by keyboard too.
function Table(table)
  local caption = pandoc.utils.stringify(table.caption.long)
  local label = caption == "" and "Table" or caption
  local ordered = {{"tabindex", "0"}, {"role", "region"}, {"aria-label", label}}  -- as a table they are in any order
  return pandoc.Div(table, pandoc.Attr("", {"scroll"}, ordered))
end
