// Small helpers for the pages: elements, visibility, errors in words, countdowns, copying.

import { clock, duration, hasText, hush, say } from './i18n.js';

export const byId = (id) => document.getElementById(id);

/** `el('p', {className: 'hint'}, child, 'text')` */
export function el(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Shows the elements for which `wanted` holds, hides the others. @param {Record<string, boolean>} wanted by id */
export function showOnly(wanted) {
  for (const [id, visible] of Object.entries(wanted)) byId(id).hidden = !visible;
}

/** Says an error in the page's words; nothing to say hides it. The element is an alert, so it is spoken at once. */
export function showError(element, error) {
  if (!error) {
    element.hidden = true;
    hush(element);
    return;
  }
  const key = `error.${error.code}`;
  element.hidden = false;
  if (hasText(key)) say(element, key, { time: () => duration(error.retryAfter) });
  else say(element, 'error.other', { code: error.code ?? error.name });
}

/** Runs `submit` for a form, once at a time: the button is out of use meanwhile. */
export function onSubmit(form, button, submit) {
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (button.getAttribute('aria-disabled') === 'true') return;
    // Not `disabled`: that would throw the keyboard's focus away.
    button.setAttribute('aria-disabled', 'true');
    try {
      await submit();
    } finally {
      button.removeAttribute('aria-disabled');
    }
  });
}

/**
 * Keeps an element showing the time left until `deadline()`; `key` names a text with {time}.
 * @returns {{tick: () => void, stop: () => void}} `tick` shows a changed deadline at once
 */
export function countdown(element, deadline, key) {
  const tick = () => {
    const left = clock(deadline() - Date.now());
    if (key) say(element, key, { time: left });
    else element.textContent = left;
  };
  tick();
  const timer = setInterval(tick, 1000);
  return { tick, stop: () => clearInterval(timer) };
}

/** Copies a text and says so on the button for a moment. */
export async function copyFrom(button, text, label) {
  try {
    await navigator.clipboard.writeText(text);
    say(button, 'result.copied');
  } catch {
    say(button, 'error.copy'); // No clipboard without https or permission.
  }
  setTimeout(() => say(button, label), 3000);
}

/** Fills the select of account kinds; a single kind needs no question. */
export function fillKinds(select, kinds, chosen) {
  const options = kinds.map(({ id, name }) => {
    const option = el('option', { value: id });
    if (hasText(`kind.${name}`)) say(option, `kind.${name}`);
    else option.textContent = name.charAt(0).toUpperCase() + name.slice(1);
    return option;
  });
  select.replaceChildren(...options);
  if (kinds.some(({ id }) => id === chosen)) select.value = chosen;
  select.closest('.field').hidden = kinds.length === 1;
}

/** Moves the keyboard to a heading that has just appeared, so that nobody is left on a hidden button. */
export function focusOn(element) {
  if (!element.hasAttribute('tabindex')) element.tabIndex = -1;
  element.focus({ preventScroll: false });
}
