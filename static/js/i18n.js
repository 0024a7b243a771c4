// The pages' two languages: which one is spoken, and texts that change with it while they are on the screen.

import en from './lang/en.js';
import fr from './lang/fr.js';

const LANGUAGES = { en, fr };
const STORED = 'readylogin.language';
const texts = new WeakMap(); // element -> {key, values}: what an element says, in no language yet

function initialLanguage() {
  const wished = [storedLanguage(), ...(navigator.languages ?? [navigator.language])];
  const short = wished.filter(Boolean).map((tag) => tag.slice(0, 2).toLowerCase());
  return short.find((tag) => tag in LANGUAGES) ?? 'en';
}

function storedLanguage() {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null;
  }
}

let language = initialLanguage();

export const currentLanguage = () => language;

/**
 * A text in the language of the moment. Values that are functions are called, so that times and dates follow the language.
 * @param {string} key
 * @param {Record<string, string|number|(() => string)>} [values]
 */
export function t(key, values = {}) {
  const text = LANGUAGES[language][key] ?? en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === 'function' ? value() : String(value);
  });
}

export const hasText = (key) => key in en;

/** Puts a text into an element and keeps it translated. */
export function say(element, key, values = {}) {
  texts.set(element, { key, values });
  element.dataset.i18n = key;
  const text = t(key, values);
  // Writing the same words again would make some screen readers speak them again.
  if (element.textContent !== text) element.textContent = text;
  return element;
}

/** Empties an element that `say` has filled. */
export function hush(element) {
  texts.delete(element);
  delete element.dataset.i18n;
  element.textContent = '';
}

function translate(root) {
  for (const element of root.querySelectorAll('[data-i18n]')) {
    const { key, values } = texts.get(element) ?? { key: element.dataset.i18n, values: {} };
    say(element, key, values);
  }
  for (const element of root.querySelectorAll('[data-i18n-label]')) {
    element.setAttribute('aria-label', t(element.dataset.i18nLabel));
  }
}

function speak(tag) {
  language = tag;
  document.documentElement.lang = tag;
  translate(document);
  for (const button of document.querySelectorAll('#languages button')) {
    button.setAttribute('aria-pressed', String(button.lang === tag));
  }
  document.dispatchEvent(new Event('languagechange'));
}

function choose(tag) {
  try {
    localStorage.setItem(STORED, tag);
  } catch {
    // Storage is blocked: the choice then lasts as long as the page.
  }
  speak(tag);
}

/** Fills the footer's switch and translates the page. Call once. */
export function startLanguages() {
  const buttons = Object.keys(LANGUAGES).map((tag) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.lang = tag;
    button.textContent = LANGUAGES[tag]['language.name'];
    button.addEventListener('click', () => choose(tag));
    return button;
  });
  document.getElementById('languages').replaceChildren(...buttons);
  speak(language);
}

/** "2:05" for a countdown. */
export function clock(milliseconds) {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

/** "40 s", "15 min": how long to wait before another try. */
export function duration(seconds) {
  if (!Number.isFinite(seconds) || seconds < 1) return t('time.soon');
  if (seconds < 100) return t('time.seconds', { count: Math.ceil(seconds) });
  return t('time.minutes', { count: Math.ceil(seconds / 60) });
}

/** A moment as people write it; the day only when it is not today. */
export function moment(milliseconds) {
  const date = new Date(milliseconds);
  if (Number.isNaN(date.getTime())) return t('ask.unknown');
  const today = date.toDateString() === new Date().toDateString();
  const style = today ? { timeStyle: 'medium' } : { dateStyle: 'medium', timeStyle: 'short' };
  return new Intl.DateTimeFormat(language, style).format(date);
}
