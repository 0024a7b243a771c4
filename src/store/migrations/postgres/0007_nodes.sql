-- Many nodes: which of them holds a browser that came back elsewhere, and what was answered lately.

-- The tag of the node on which a pairing was resumed last; without one it is where its uuid says.
ALTER TABLE pairings ADD COLUMN holder BIGINT;
CREATE INDEX pairings_answered ON pairings (answered_at);

-- What a signal says beside its kind. Nodes of the first release know three kinds and stumble over any other: what came
-- later stands here, behind the kind that they do best to take it for.
ALTER TABLE signals ADD COLUMN detail TEXT NOT NULL DEFAULT '';
