-- What of `spent` of an account is of processes that died: what was set aside for them, and may have been spent.
ALTER TABLE budget_accounts ADD COLUMN lost BIGINT NOT NULL DEFAULT 0;
ALTER TABLE budget_accounts ADD COLUMN lost_tokens BIGINT NOT NULL DEFAULT 0;
