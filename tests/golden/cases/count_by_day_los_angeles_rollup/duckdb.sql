SELECT "main"."orders__created_at_day" AS "orders__created_at_day", CAST(coalesce(sum("main"."orders__count"), 0) AS BIGINT) AS "orders__count" FROM "main" AS "main" WHERE ("main"."orders__created_at_day" >= $1 AND "main"."orders__created_at_day" < $2) GROUP BY 1 ORDER BY 1 ASC NULLS LAST LIMIT 10000
-- $1 2020-01-01T00:00:00.000
-- $2 2020-02-01T00:00:00.000
