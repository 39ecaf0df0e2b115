-- Keys of apps say when they were used last, and are replaced by others of their name while they still work.

ALTER TABLE gateway_keys ADD COLUMN used_at BIGINT; -- to the minute
ALTER TABLE gateway_keys ADD COLUMN replaced_at BIGINT; -- since when another one has its name
DROP INDEX gateway_keys_by_name;
CREATE UNIQUE INDEX gateway_keys_by_name ON gateway_keys (team, name)
    WHERE revoked_at IS NULL AND replaced_at IS NULL AND attempt = '';
