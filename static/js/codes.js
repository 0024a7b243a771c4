// Ten new backup codes, shown once: to copy, to download, to print. `/phone` and `/account` have this card.

import { byId, copyFrom, el, focusOn } from './dom.js';
import { t } from './i18n.js';

/** @param {{onKept: () => void}} options called once the owner has put them somewhere */
export function codesCard({ onKept }) {
  function hide() {
    const { href } = byId('codes-download');
    if (href) URL.revokeObjectURL(href);
    byId('codes-download').removeAttribute('href');
    byId('codes-copy').onclick = null;
    byId('backup-codes').replaceChildren();
    byId('codes-for').textContent = '';
    byId('codes').hidden = true;
  }

  byId('codes-print').addEventListener('click', () => print());
  byId('codes-kept').addEventListener('click', () => {
    hide();
    onKept();
  });

  return {
    get isOpen() {
      return !byId('codes').hidden;
    },

    /** @param {string[]} codes @param {string} email whose they are */
    show(codes, email) {
      hide();
      const text = `${t('codes.file', { email })}\n\n${codes.join('\n')}\n`;
      byId('backup-codes').replaceChildren(...codes.map((code) => el('li', {}, el('code', { textContent: code }))));
      byId('codes-for').textContent = email;
      byId('codes-download').href = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
      byId('codes-download').download = 'readylogin-backup-codes.txt';
      byId('codes-copy').onclick = () => copyFrom(byId('codes-copy'), codes.join('\n'), 'codes.copy');
      byId('codes').hidden = false;
      focusOn(byId('codes-title'));
    },

    /** Afterwards they are nowhere on this page. */
    hide,
  };
}
