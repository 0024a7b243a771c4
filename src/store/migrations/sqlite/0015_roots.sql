-- When a backup code was made: the root key that was in force then has to stay for as long as the code.
ALTER TABLE backup_codes ADD COLUMN made_at BIGINT NOT NULL DEFAULT 0;
