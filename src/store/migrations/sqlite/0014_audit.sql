-- Refusals that repeat within the hour are counted in one row, from `at` until `until`. `merged` says which they are; rows of
-- an older release, and of what was granted or changed, have none.
ALTER TABLE audit ADD COLUMN count BIGINT NOT NULL DEFAULT 1;
ALTER TABLE audit ADD COLUMN until BIGINT;
ALTER TABLE audit ADD COLUMN merged TEXT;
CREATE UNIQUE INDEX audit_merged ON audit (merged);
CREATE INDEX audit_over ON audit (at);
