// What scrolls inside itself can be reached, and so scrolled, with the keyboard.
const reachIfScrollable = new ResizeObserver((changes) => {
  for (const { target } of changes) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
window.addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  const scrollable = ".bd-article table, .bd-article pre, mjx-container[display], div.cell_output";
  for (const element of document.querySelectorAll(scrollable)) reachIfScrollable.observe(element);
});
