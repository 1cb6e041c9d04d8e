SELECT CAST(coalesce(sum("u"."c0"), 0) AS BIGINT) AS "orders__count" FROM (SELECT CAST(coalesce(sum("main"."orders__count"), 0) AS BIGINT) AS "c0" FROM "main" AS "main" WHERE ("main"."orders__created_at_day" >= $1 AND "main"."orders__created_at_day" < $2) UNION ALL SELECT count("orders".id) AS "c0" FROM orders AS "orders" WHERE ("orders".created_at >= $3 AND "orders".created_at < $4)) AS "u" LIMIT 10000
-- $1 2020-01-01T00:00:00.000
-- $2 2020-01-15T00:00:00.000
-- $3 2020-01-15T00:00:00.000
-- $4 2020-01-15T15:30:00.000
