-- A login call of /users is kept under its step value and, for clients that keep none, under its network: by this both
-- end together. NULL for other sign-ins under way.
ALTER TABLE challenges ADD COLUMN login_call BLOB;
