a.s NOT IN ('x', 'it''s') OR NOT a.n BETWEEN -1 AND - -2
