// A login on its way from `/` to `/account`, in the tab's own storage for as long as the next page takes to open.

const STORED = 'readylogin.handover';

/** @param {string} token */
export function handOver(token) {
  try {
    sessionStorage.setItem(STORED, token);
  } catch {
    // Without storage the owner logs in once more over there.
  }
}

/** What was handed over, once: reading it removes it. @returns {string|null} */
export function takeHandOver() {
  try {
    const token = sessionStorage.getItem(STORED);
    sessionStorage.removeItem(STORED);
    return token;
  } catch {
    return null;
  }
}
