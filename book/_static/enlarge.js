// A figure on a narrow screen: a tap, or Enter, shows it wide; another tap, or Escape, closes it.
(() => {
  "use strict";
  const figures = ".bd-article div.cell_output img, .bd-article figure > img";

  function show(image) {
    const dialog = document.createElement("dialog");
    dialog.className = "kl-large";
    const large = new Image();
    large.src = image.currentSrc || image.src;
    large.alt = image.alt;
    large.width = 900;  // letters as large as the text beside it
    const close = document.createElement("button");
    close.type = "button";
    close.textContent = "Close";
    dialog.append(close, large);
    dialog.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => { dialog.remove(); image.focus(); });
    document.body.append(dialog);
    dialog.showModal();
  }

  function offer() {
    for (const image of document.querySelectorAll(figures)) {
      if (image.closest(".kl-stage, a, button") || image.dataset.klLarge) { continue; }
      image.dataset.klLarge = "";
      image.tabIndex = 0;
      image.setAttribute("role", "button");
      image.setAttribute("aria-haspopup", "dialog");
      image.addEventListener("click", () => show(image));
      image.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); show(image); }
      });
    }
  }

  const narrow = matchMedia("(max-width: 760px)");
  const start = () => { if (narrow.matches) { offer(); } };
  narrow.addEventListener("change", start);
  if (document.readyState === "loading") { document.addEventListener("DOMContentLoaded", start); } else { start(); }
})();
