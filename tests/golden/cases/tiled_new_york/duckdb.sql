SELECT "u"."orders__created_at_day" AS "orders__created_at_day", CAST(coalesce(sum("u"."c0"), 0) AS BIGINT) AS "orders__count" FROM (SELECT "main"."orders__created_at_day" AS "orders__created_at_day", CAST(coalesce(sum("main"."orders__count"), 0) AS BIGINT) AS "c0" FROM "main" AS "main" WHERE ("main"."orders__created_at_day" >= $1 AND "main"."orders__created_at_day" < $2) GROUP BY 1 UNION ALL SELECT date_trunc('day', granary_local("orders".created_at, 'America/New_York')) AS "orders__created_at_day", count("orders".id) AS "c0" FROM orders AS "orders" WHERE ("orders".created_at >= $3 AND "orders".created_at < $4) GROUP BY 1 UNION ALL SELECT date_trunc('day', granary_local("orders".created_at, 'America/New_York')) AS "orders__created_at_day", count("orders".id) AS "c0" FROM orders AS "orders" WHERE ("orders".created_at >= $5 AND "orders".created_at < $6) GROUP BY 1) AS "u" GROUP BY 1 ORDER BY 1 ASC NULLS LAST LIMIT 10000
-- $1 2020-03-08T00:00:00.000
-- $2 2020-03-09T00:00:00.000
-- $3 2020-03-07T17:00:00.000
-- $4 2020-03-08T05:00:00.000
-- $5 2020-03-09T04:00:00.000
-- $6 2020-03-09T10:30:00.000
