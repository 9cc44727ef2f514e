// A link to a cell opens the code that is folded in it.
function unfold() {
  const cell = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const code = cell?.querySelector(":scope > details");
  if (code && !code.open) {
    code.open = true;
    cell.scrollIntoView();
  }
}
addEventListener("hashchange", unfold);
addEventListener("DOMContentLoaded", unfold);
