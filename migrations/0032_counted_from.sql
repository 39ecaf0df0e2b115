-- From when on what was spent counts for a budget: when it was made, or the start of the window that was taken from
-- the ledger when its window or scope was changed.
ALTER TABLE budgets ADD COLUMN counted_from BIGINT NOT NULL DEFAULT 0;
UPDATE budgets SET counted_from = created_at;
