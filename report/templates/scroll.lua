-- A table that is wider than the page scrolls in a frame of its own, by keyboard too.
function Table(table)
  return pandoc.Div(table, {class = "scroll", tabindex = "0", role = "region", ["aria-label"] = "Table"})
end
