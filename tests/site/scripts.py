"""What the tests ask a page, in its own language."""

# Pictures without words, pictures whose words are a file name, pictures that do not load.
PICTURES = """async () => {
    const images = [...document.querySelectorAll('img')];
    images.forEach(i => { i.loading = 'eager'; });
    await Promise.all(images.map(i => i.decode().catch(() => null)));
    const name = i => i.src.slice(0, 80);
    const words = i => (i.alt || '').trim();
    const file = /^[^ ]*\\.(png|svg|jpe?g|webp)$/;
    return {
        silent: images.filter(i => !i.closest('.navbar-brand') && !words(i)).map(name),
        named: images.filter(i => i.closest('.bd-article') && file.test(words(i))).map(name),
        broken: images.filter(i => !i.naturalWidth).map(name),
    };
}"""

# Text below WCAG's contrast (4.5, large text 3) with what is painted behind it.
FAINT = """selector => {
    const parse = c => {
        const n = (c.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
        if (c.startsWith('color(srgb')) { n[0] *= 255; n[1] *= 255; n[2] *= 255; }
        return [n[0], n[1], n[2], n.length > 3 ? n[3] : 1];
    };
    const over = (a, b) => [0, 1, 2].map(i => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
    const light = c => {
        const [r, g, b] = c.map(v => v / 255)
            .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = element => {
        const layers = [];
        for (let e = element; e; e = e.parentElement) {
            layers.push(parse(getComputedStyle(e).backgroundColor));
            if (layers[layers.length - 1][3] === 1) { break; }
        }
        return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
    };
    const faint = new Map();
    let seen = 0;
    document.querySelectorAll(selector).forEach(root => {
        const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
            const element = walker.currentNode.parentElement, text = walker.currentNode.data.trim();
            if (!text || element.closest('script, style, svg, mjx-container, .headerlink') ||
                !element.checkVisibility({ visibilityProperty: true })) { continue; }
            seen += 1;
            const style = getComputedStyle(element), paper = behind(element);
            const [a, b] = [light(over(parse(style.color), paper)), light(paper)];
            const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
            const size = parseFloat(style.fontSize);
            const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
            if (ratio < (large ? 3 : 4.5)) {
                const key = `${element.tagName}.${element.className} ${ratio.toFixed(2)}`;
                faint.set(key, text.slice(0, 40));
            }
        }
    });
    return { seen, faint: [...faint].map(([where, text]) => `${where}: ${text}`) };
}"""

# What sticks out of the window to the right, where that makes the page scroll sideways.
TOO_WIDE = """() => {
    const width = Math.max(document.documentElement.scrollWidth, document.body.scrollWidth);
    if (width <= innerWidth) { return []; }
    const wide = [...document.querySelectorAll('.bd-main *')]
        .filter(e => e.getBoundingClientRect().right > innerWidth + 1);
    return [`${width} px`, ...wide.slice(0, 8).map(e => `${e.tagName}.${e.className}`)];
}"""

HEADINGS = """() => [...document.querySelectorAll('.bd-article :is(h1,h2,h3,h4,h5,h6)')]
    .map(h => Number(h.tagName[1]))"""

# Formulas in the text, those that were drawn, errors among them, delimiters left over.
FORMULAS = """() => ({
    written: document.querySelectorAll('.bd-article .math').length,
    drawn: [...document.querySelectorAll('.bd-article .math')]
        .filter(m => m.querySelector('mjx-container svg')).length,
    wrong: document.querySelectorAll('.bd-article [data-mml-node=merror]').length,
    left: [...document.querySelectorAll('.bd-article .math')]
        .filter(m => /\\\\[([]/.test(m.innerText)).length,
})"""

LINKS = """() => [...document.querySelectorAll('a[href]')].map(a => a.href)
    .filter(h => h.startsWith('file:')).map(h => h.split('#')[0].split('?')[0])"""

# Links to a place on this page that is not there.
LOST_ANCHORS = """() => [...document.querySelectorAll('a[href^="#"]')]
    .map(a => decodeURIComponent(a.getAttribute('href').slice(1)))
    .filter(id => id && !document.getElementById(id))"""

LAUNCH = "() => [...document.querySelectorAll('.dropdown-launch-buttons a')].map(a => a.href)"

# Which frame of a viewer is shown.
SHOWN = """viewer => [...viewer.querySelectorAll('.kl-stage > img')].map((image, i) => [image, i])
    .filter(([image]) => image.checkVisibility({ visibilityProperty: true })).map(([, i]) => i)"""

# What a widget shows apart from its sliders.
BESIDE_SLIDERS = """area => {
    const rest = area.cloneNode(true);
    rest.querySelectorAll('.widget-slider').forEach(slider => slider.remove());
    return rest.innerHTML;
}"""

# How many screens a chapter has, and the most of them between two things that it asks its reader:
# predictions first, then the exercises.
SCREENS = """() => {
    const top = e => e.getBoundingClientRect().top / innerHeight;
    const article = document.querySelector('.bd-article').getBoundingClientRect();
    const asked = [...document.querySelectorAll('.bd-article details')]
        .filter(d => d.querySelector('summary').innerText.trim().startsWith('Predict'))
        .filter(d => !d.parentElement.closest('details'));
    const end = [...document.querySelectorAll('.bd-article h2')]
        .find(h => h.innerText.trim().startsWith('Exercises'));
    const places = [article.top / innerHeight, ...asked.map(top)];
    places.push(end ? top(end) : article.bottom / innerHeight);
    return {
        page: article.height / innerHeight,
        apart: Math.max(...places.slice(1).map((p, i) => p - places[i])),
    };
}"""
