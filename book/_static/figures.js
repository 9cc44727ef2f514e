// A figure opens large, by a tap or by Enter: on a phone its panels are too small to read. Those of
// the page of all figures are loaded when they come into view.
addEventListener("DOMContentLoaded", () => {
  for (const image of document.querySelectorAll(".bd-article figure img, .bd-article div.cell_output img")) {
    if (image.closest("a")) continue;
    const open = () => {
      const dialog = document.createElement("dialog");
      dialog.className = `figure ${image.closest("figure")?.id ?? ""}`;
      const close = document.createElement("button");
      close.textContent = "Close";
      close.addEventListener("click", () => dialog.close());
      dialog.addEventListener("close", () => dialog.remove());
      dialog.append(close, image.cloneNode());
      document.body.append(dialog);
      dialog.showModal();
    };
    const button = document.createElement("button");
    button.className = "enlarge";
    button.setAttribute("aria-label", "Enlarge the figure");
    button.textContent = "⤢";
    button.addEventListener("click", open);
    image.addEventListener("click", open);
    image.after(button);
  }
  const arriving = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      target.src = target.dataset.later;
      arriving.unobserve(target);
    }
  }, { rootMargin: "300px" });
  document.querySelectorAll("img[data-later]").forEach((image) => arriving.observe(image));
});
