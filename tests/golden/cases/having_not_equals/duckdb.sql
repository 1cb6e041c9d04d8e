SELECT date_trunc('week', "main"."orders__created_at_day") AS "orders__created_at_week", CAST(coalesce(sum("main"."orders__count"), 0) AS BIGINT) AS "orders__count" FROM "main" AS "main" WHERE (("main"."orders__status" <> $1) OR "main"."orders__status" IS NULL) AND ("main"."orders__created_at_day" >= $2 AND "main"."orders__created_at_day" < $3) GROUP BY 1 HAVING ((CAST(coalesce(sum("main"."orders__count"), 0) AS BIGINT)) > $4) ORDER BY 1 ASC NULLS LAST LIMIT 10000
-- $1 new
-- $2 2020-01-06T00:00:00.000
-- $3 2020-03-30T00:00:00.000
-- $4 3
