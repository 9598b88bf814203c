// What a reader sees of the page in a frame; `browser.py` says what each figure is.
function look(frame) {
  const page = frame.contentDocument, view = frame.contentWindow, width = frame.clientWidth;
  const inFigure = e => e.closest('figure') && e.tagName !== 'FIGURE';

  const cut = [...page.querySelectorAll('p, h1, h2, dt, dd, table, th, td, figure, code')]
    .filter(e => e.getClientRects().length && !inFigure(e))
    .filter(e => e.getBoundingClientRect().right > width + 1 || e.getBoundingClientRect().left < -1)
    .map(e => e.tagName + ' ' + e.textContent.trim().slice(0, 40));

  const channel = c => c / 255 <= .03928 ? c / 255 / 12.92 : ((c / 255 + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b);
  const rgb = text => {
    const n = (text.match(/[\d.]+/g) || []).map(Number);
    return n.length < 3 || n[3] === 0 ? null : n.slice(0, 3);
  };
  const behind = element => {
    const at = element.getBoundingClientRect();
    if (element.ownerSVGElement)
      for (const e of page.elementsFromPoint(at.x + at.width / 2, at.y + at.height / 2))
        if (e.tagName === 'rect' && rgb(view.getComputedStyle(e).fill)) return rgb(view.getComputedStyle(e).fill);
    for (let e = element; e; e = e.parentElement) {
      const colour = rgb(view.getComputedStyle(e).backgroundColor);
      if (colour) return colour;
    }
    return [255, 255, 255];
  };

  const broken = [], pale = [], walk = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode, element = node.parentElement, text = node.data.trim();
    if (/^(style|title)$/i.test(element.tagName) || !text || !element.getBoundingClientRect().width) continue;
    for (const word of node.data.matchAll(/[\p{L}\d_.,%]+/gu)) {
      const range = page.createRange();
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      const lines = new Set([...range.getClientRects()].map(r => Math.round(r.top)));
      if (lines.size > 1 && word[0].length < 24) broken.push(word[0]);
    }
    const style = view.getComputedStyle(element);
    const ink = light(rgb(element.ownerSVGElement ? style.fill : style.color)), paper = light(behind(element));
    const contrast = (Math.max(ink, paper) + .05) / (Math.min(ink, paper) + .05);
    if (contrast < 4.5) pale.push(text.slice(0, 30) + ' ' + contrast.toFixed(1));
  }

  return {
    wider: page.documentElement.scrollWidth - width, cut, broken, pale,
    paper: light(behind(page.body)),
    figures: [...page.querySelectorAll('figure')].map(e => light(behind(e))),
    texts: [...page.querySelectorAll('svg text')].map(e => e.getBoundingClientRect().height).filter(h => h),
    drawn: [...page.querySelectorAll('svg')].map(e => [e.className.baseVal, e.getBoundingClientRect().width]),
  };
}
