SELECT count("orders".id) AS "orders__count" FROM orders AS "orders" WHERE ("orders".created_at >= $1 AND "orders".created_at < $2) LIMIT 10000
-- $1 2020-01-01T00:00:00.000
-- $2 2020-01-15T15:30:00.000
