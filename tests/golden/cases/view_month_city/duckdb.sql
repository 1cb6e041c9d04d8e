SELECT "main"."orders__status" AS "ov__status", date_trunc('month', "main"."orders__created_at_day") AS "ov__created_at_month", CAST(coalesce(sum("main"."orders__count"), 0) AS BIGINT) AS "ov__count" FROM "main" AS "main" WHERE ("main"."orders__city" = $1) AND ("main"."orders__created_at_day" >= $2 AND "main"."orders__created_at_day" < $3) GROUP BY 1, 2 ORDER BY 2 ASC NULLS LAST, 1 ASC NULLS LAST LIMIT 10000
-- $1 Oslo
-- $2 2020-02-01T00:00:00.000
-- $3 2020-08-01T00:00:00.000
