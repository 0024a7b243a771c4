// Run inside a page: the visible texts whose contrast is below 4.5 to 1, as sentences.

const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });

function rgba(colour) {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
  return [red, green, blue, alpha / 255];
}

const over = ([r, g, b, a], below) => [r, g, b].map((value, i) => value * a + below[i] * (1 - a));

function behind(element) {
  const layers = [];
  for (let at = element; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
  return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
}

function luminance(colour) {
  const [r, g, b] = colour.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(element) {
  const ground = behind(element);
  const ink = over(rgba(getComputedStyle(element).color), ground);
  const [light, dark] = [luminance(ink), luminance(ground)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

const hasText = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());

return [...document.body.querySelectorAll('*')]
  .filter((element) => (hasText(element) || 'value' in element) && element.checkVisibility())
  .filter((element) => !element.closest('svg, option'))
  .map((element) => [element, contrast(element)])
  .filter(([, ratio]) => ratio < 4.5)
  .map(([element, ratio]) => `${element.tagName}#${element.id} “${element.textContent.trim()}”: ${ratio.toFixed(2)}`);
