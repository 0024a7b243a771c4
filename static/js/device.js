// What this browser says about itself: names for people to recognise, claims to a server, proof of nothing.

const BROWSERS = [
  [/Edg(?:e|A|iOS)?\//, 'Edge'],
  [/OPR\/|Opera/, 'Opera'],
  [/SamsungBrowser\//, 'Samsung Internet'],
  [/Firefox\/|FxiOS\//, 'Firefox'],
  [/CriOS\/|Chrome\/|Chromium\//, 'Chrome'],
  [/Safari\//, 'Safari'],
];

const SYSTEMS = [
  [/iPhone/, 'iOS'],
  [/iPad/, 'iPadOS'],
  [/Android/, 'Android'],
  [/Windows/, 'Windows'],
  [/Mac OS X|Macintosh/, 'macOS'],
  [/CrOS/, 'ChromeOS'],
  [/Linux/, 'Linux'],
];

const firstMatch = (table, text) => table.find(([pattern]) => pattern.test(text))?.[1] ?? '';

/**
 * The place is only the time zone: asking for the real position would be asking for more than a login needs.
 * @returns {{os: string, browser: string, location: string}}
 */
export function describeBrowser(userAgent = navigator.userAgent) {
  return {
    os: firstMatch(SYSTEMS, userAgent),
    browser: firstMatch(BROWSERS, userAgent),
    location: Intl.DateTimeFormat().resolvedOptions().timeZone ?? '',
  };
}

/** A first guess at a device's name, for its owner to change. */
export function guessDeviceName(userAgent = navigator.userAgent) {
  if (/iPhone/.test(userAgent)) return 'iPhone';
  if (/iPad/.test(userAgent)) return 'iPad';
  // "Android 14; Pixel 8)" or "Android 14; Pixel 8 Build/…"; the frozen user agent of newer browsers says only "K".
  const model = /Android [\d.]+; ([^;)]+?)(?: Build\/[^;)]*)?\)/.exec(userAgent)?.[1]?.trim();
  if (model && model.length > 1) return model;
  const { browser, os } = describeBrowser(userAgent);
  return [browser, os].filter(Boolean).join(' · ');
}
