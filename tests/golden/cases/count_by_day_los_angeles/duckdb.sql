SELECT date_trunc('day', granary_local("orders".created_at, 'America/Los_Angeles')) AS "orders__created_at_day", count("orders".id) AS "orders__count" FROM orders AS "orders" WHERE ("orders".created_at >= $1 AND "orders".created_at < $2) GROUP BY 1 ORDER BY 1 ASC NULLS LAST LIMIT 10000
-- $1 2020-01-01T08:00:00.000
-- $2 2020-02-01T08:00:00.000
