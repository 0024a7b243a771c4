-- Mailed codes belong to an account, and are mailed again in the first half of their life.

-- What a code's digits are derived from, by a key that is not in this table. Rows of before have none.
ALTER TABLE mailed_codes ADD COLUMN nonce BLOB;
-- When it was mailed last.
ALTER TABLE mailed_codes ADD COLUMN mailed_at BIGINT;
-- When it was found to be over: it stays over when the clock is set back.
ALTER TABLE mailed_codes ADD COLUMN ended_at BIGINT;
