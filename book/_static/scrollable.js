// What scrolls inside itself can be reached, and so scrolled, with the keyboard.
function reachScrollable() {
  const scrollable = ".bd-article table, .bd-article pre, mjx-container[display], div.cell_output";
  for (const element of document.querySelectorAll(scrollable)) {
    if (element.scrollWidth > element.clientWidth) element.tabIndex = 0;
    else element.removeAttribute("tabindex");
  }
}
window.addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  reachScrollable();
  window.addEventListener("resize", reachScrollable);
});
