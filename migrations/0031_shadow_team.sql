-- Whose the call of a pair was: a key of a team sees those of its own team.
ALTER TABLE shadow_pairs ADD COLUMN team TEXT NOT NULL DEFAULT ''; -- or empty
