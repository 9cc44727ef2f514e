// A link opens what its target is folded in, and the folded code of a cell.
function unfold() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const folds = [target?.querySelector(":scope > details")];
  for (let fold = target?.closest("details"); fold; fold = fold.parentElement.closest("details")) folds.push(fold);
  const closed = folds.filter((fold) => fold && !fold.open);
  for (const fold of closed) fold.open = true;
  if (closed.length) target.scrollIntoView();
}
addEventListener("hashchange", unfold);
addEventListener("DOMContentLoaded", unfold);
