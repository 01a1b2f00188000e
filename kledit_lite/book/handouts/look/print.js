// Make a page of the site ready for paper; returns its title.
async (words) => {
  "use strict";
  if (window.MathJax && window.MathJax.startup) { await window.MathJax.startup.promise; }
  await document.fonts.ready;
  const article = document.querySelector("article.bd-article") || document.querySelector("main") || document.body;
  document.documentElement.dataset.theme = "light";

  const made = (tag, name, text) => {
    const element = document.createElement(tag);
    element.className = name;
    if (text) { element.textContent = text; }
    return element;
  };
  const exercises = [...article.querySelectorAll("div.exercise")];
  const exerciseBefore = (fold) => {
    const before = exercises.filter((e) => e.compareDocumentPosition(fold) & Node.DOCUMENT_POSITION_FOLLOWING);
    const title = before.length ? before[before.length - 1].querySelector(".admonition-title") : null;
    return title ? ": " + title.textContent.trim() : "";
  };
  const atEnd = made("section", "answers");
  for (const fold of article.querySelectorAll("details")) {
    const summary = fold.querySelector("summary");
    const said = (summary ? summary.textContent : "").trim().replace(/\s+/g, " ");
    const asked = /^(Predict\b|Solution\b)/.exec(said), solved = fold.closest(".tag_solution");
    const content = made("div", asked || solved ? "" : "opened");
    if (summary) { summary.remove(); }
    if (fold.matches(".kl-closer")) { fold.replaceWith(...fold.querySelector(".kl-closer-body").childNodes); continue; }
    if (fold.matches(".hide") && !solved) {  // code that the page folds away
      if (fold.matches(".above-input")) { fold.remove(); } else { fold.replaceWith(...fold.childNodes); }
      continue;
    }
    const title = /^Solution$/.test(said) ? said + exerciseBefore(fold) : said;
    content.append(made("p", asked || solved ? "question" : "opened-title", title), ...fold.childNodes);
    if (!asked && !solved) { fold.replaceWith(content); continue; }
    atEnd.append(content);
    const left = made("p", "asked", said);
    left.append(made("small", "", words.pointer));
    if (solved) { fold.remove(); } else { fold.replaceWith(left); }
  }
  if (atEnd.childElementCount) {
    atEnd.prepend(made("h2", "", words.answers));
    article.append(atEnd);
  }
  article.querySelectorAll(".kl-stage").forEach((stage) => {
    [...stage.querySelectorAll("img")].forEach((image, i) => { if (i && image.hidden) { image.remove(); } });
  });
  article.querySelectorAll(".sd-badge").forEach((badge) => {  // an emoji that few fonts have
    badge.textContent = badge.textContent.replace("\u23f1", "").trim();
  });
  document.body.replaceChildren(article);
  await Promise.all([...document.images].map((image) => image.decode().catch(() => undefined)));
  article.querySelectorAll("div.cell_input, .opened, div.highlight, div.exercise, table").forEach((each) => {
    if (each.offsetHeight < 280) { each.classList.add("short"); }
  });
  for (const image of document.images) {  // a large one without loss makes a huge file
    if (image.src.startsWith("data:") && image.naturalWidth * image.naturalHeight > 300000) {
      const canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
      canvas.width = image.naturalWidth;
      canvas.height = image.naturalHeight;
      pen.fillStyle = "white";
      pen.fillRect(0, 0, canvas.width, canvas.height);
      pen.drawImage(image, 0, 0);
      image.src = canvas.toDataURL("image/jpeg", 0.92);
      await image.decode().catch(() => undefined);
    }
  }
  const heading = article.querySelector("h1");
  const title = heading ? heading.cloneNode(true) : null;
  if (title) { title.querySelectorAll(".headerlink").forEach((link) => link.remove()); }
  return title ? title.textContent.trim() : document.title;
}
