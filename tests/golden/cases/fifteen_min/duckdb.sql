SELECT time_bucket(to_microseconds(900000000), "orders".created_at, TIMESTAMP '1970-01-01T00:00:00.000') AS "orders__created_at_fifteen_min", count("orders".id) AS "orders__count" FROM orders AS "orders" WHERE ("orders".created_at >= $1 AND "orders".created_at < $2) GROUP BY 1 ORDER BY 1 ASC NULLS LAST LIMIT 10000
-- $1 2020-02-01T00:00:00.000
-- $2 2020-02-03T00:00:00.000
