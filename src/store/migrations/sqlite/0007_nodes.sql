-- Many nodes: which of them holds a browser that came back elsewhere, and what was answered lately.

-- The tag of the node on which a pairing was resumed last; without one it is where its uuid says.
ALTER TABLE pairings ADD COLUMN holder BIGINT;
CREATE INDEX pairings_answered ON pairings (answered_at);
