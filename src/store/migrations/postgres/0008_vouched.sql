-- Accounts that strangers make beside those that an operator answers for.

-- An operator made the account or imported it. Accounts that their owners registered are not vouched for: until their
-- address is proven, whoever registered it may be somebody else.
ALTER TABLE accounts ADD COLUMN vouched BIGINT NOT NULL DEFAULT 0;
-- Rows that exist already: the trail says which of them an operator made.
UPDATE accounts SET vouched = 1 WHERE EXISTS (
    SELECT 1 FROM audit WHERE audit.account_id = accounts.id AND audit.outcome = 'ok' AND audit.source = 'operator'
    AND audit.event IN ('account.add', 'account.import')
);
