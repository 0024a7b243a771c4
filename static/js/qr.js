// Draws a link as a QR code in SVG.

import { t } from './i18n.js';
import { encode } from './vendor/uqr.js';

const SVG = 'http://www.w3.org/2000/svg';
const QUIET_ZONE = 4; // Modules of white around the code, as the standard asks.

function svg(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** One path for all dark modules: a row's neighbouring ones become one run. */
function pathOf(rows) {
  let path = '';
  rows.forEach((row, y) => {
    for (let x = 0; x < row.length; x += 1) {
      if (!row[x]) continue;
      const start = x;
      while (row[x + 1]) x += 1;
      path += `M${start} ${y}h${x + 1 - start}v1H${start}z`;
    }
  });
  return path;
}

/**
 * Dark on white in every colour scheme: many scanners cannot read it the other way round.
 * @param {string} link
 * @param {string} [label] the key of a text that says what it is
 * @returns {SVGElement}
 */
export function drawQr(link, label = 'qr.label') {
  const { data, size } = encode(link, { ecc: 'M', border: QUIET_ZONE });
  const picture = svg('svg', { viewBox: `0 0 ${size} ${size}`, 'shape-rendering': 'crispEdges', role: 'img' });
  picture.setAttribute('aria-label', t(label));
  picture.dataset.i18nLabel = label;
  picture.append(
    svg('rect', { width: size, height: size, fill: '#fff' }),
    svg('path', { d: pathOf(data), fill: '#000' }),
  );
  return picture;
}
