// Where the server wants a password typed just now: asks for it, and does the same thing again with it.

/**
 * Runs `attempt(password)`; while the server wants a password typed just now, asks for it and tries again.
 * @template T
 * @param {(password?: string) => Promise<T>} attempt
 * @param {(wrong: boolean) => Promise<string>} ask resolves with what was typed, rejects with `cancelled`; `wrong` after
 *   a first one that was not the account's
 */
export async function withFreshPassword(attempt, ask) {
  let password;
  for (;;) {
    try {
      return await attempt(password);
    } catch (error) {
      const again = password !== undefined;
      if (error.code !== 'password_needed' && !(again && error.code === 'bad_credentials')) throw error;
      password = await ask(again);
    }
  }
}
