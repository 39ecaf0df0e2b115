-- For the oldest delivery of each project that is to be processed.
CREATE INDEX deliveries_by_turn ON deliveries (project, id) WHERE status = 'received';
