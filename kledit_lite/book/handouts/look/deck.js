// Fit every slide to 1280 x 720 with text of 24 to 36 px, then begin.
(async function () {
  "use strict";
  const SIZES = [36, 32, 30, 28, 26, 24];
  const LEAST_FIGURE = 220;

  function fits(slide) {
    if (slide.scrollHeight > slide.clientHeight || slide.scrollWidth > slide.clientWidth) { return false; }
    const bottom = slide.getBoundingClientRect().bottom - 52, right = slide.getBoundingClientRect().right - 64;
    return [...slide.querySelectorAll(":scope > *, table, pre, mjx-container svg")].every(function (each) {
      if (each.matches(".notes")) { return true; }
      const box = each.getBoundingClientRect();
      return box.bottom <= bottom + 1 && box.right <= right + 1;
    });
  }

  function roomy(slide) {
    return [...slide.querySelectorAll("figure.kl-viz")].every((f) => f.clientHeight >= LEAST_FIGURE);
  }

  function wide(slide, table) {
    return table.getBoundingClientRect().right > slide.getBoundingClientRect().right - 63;
  }

  // pandas gives the index's name a row of its own; it goes into the empty cell above.
  function joinHeads(table) {
    const [first, second, more] = table.tHead ? table.tHead.rows : [];
    const blank = (cell) => !cell.textContent.trim();
    if (second && !more && blank(first.cells[0]) && [...second.cells].slice(1).every(blank)) {
      first.cells[0].textContent = second.cells[0].textContent;
      second.remove();
    }
  }

  // Columns for which there is no room are left to the chapter.
  function narrow(slide, table) {
    const columns = Math.max(...[...table.rows].map((row) => row.cells.length));
    let left = 0;
    while (wide(slide, table) && left < columns - 2) {
      for (const row of table.rows) { if (row.cells.length > 1) { row.lastElementChild.remove(); } }
      left += 1;
    }
    if (left) {
      const said = document.createElement("p");
      said.className = "more";
      said.textContent = "In the chapter: " + left + " more column" + (left > 1 ? "s." : ".");
      (table.closest(".table") || table).after(said);
    }
  }

  // The rows of a slide's table, or the items of its last list.
  function rows(slide) {
    return [...slide.querySelectorAll("tbody")].pop() || [...slide.querySelectorAll("ul, ol")].pop();
  }

  // What does not fit of a table or a list goes on a slide of its own, which is returned.
  function goOn(slide) {
    const here = rows(slide);
    if (!here || fits(slide) || here.children.length < 2) { return null; }
    const next = slide.cloneNode(true), there = rows(next);
    for (const each of [...next.children]) {
      if (!each.matches("h1, h2") && !each.contains(there)) { each.remove(); }
    }
    next.querySelectorAll("[id]").forEach((each) => each.removeAttribute("id"));
    const all = here.children.length;
    while (!fits(slide) && here.children.length > 1) { here.lastElementChild.remove(); }
    const each = Math.ceil(all / Math.ceil(all / here.children.length));
    while (here.children.length > each) { here.lastElementChild.remove(); }
    [...there.children].slice(0, here.children.length).forEach((row) => row.remove());
    if (there.matches("ol")) { there.start = here.children.length + (here.start || 1); }
    slide.after(next);
    return next;
  }

  if (window.MathJax && window.MathJax.startup) { await window.MathJax.startup.promise; }
  await document.fonts.ready;
  const deck = document.querySelector(".reveal");
  deck.classList.add("measuring");
  for (const slide of deck.querySelectorAll(".slides > section > section")) {
    const table = slide.querySelector("table");
    if (table) { joinHeads(table); }
    for (const size of SIZES) {
      slide.style.fontSize = size + "px";
      if (fits(slide) && roomy(slide)) { break; }
    }
    if (table) { narrow(slide, table); }
    for (let more = goOn(slide); more; more = goOn(more)) { continue; }
  }
  deck.classList.remove("measuring");
  await Reveal.initialize({
    width: 1280, height: 720, margin: 0.02, center: false, display: "flex", navigationMode: "linear",
    hash: true, slideNumber: "c/t", transition: "none", backgroundTransition: "none", plugins: [RevealNotes],
  });
})();
