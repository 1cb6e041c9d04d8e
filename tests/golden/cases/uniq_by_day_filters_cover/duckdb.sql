SELECT "main"."orders__created_at_day" AS "orders__created_at_day", coalesce(max("main"."orders__uniq"), 0) AS "orders__uniq" FROM "main" AS "main" WHERE ("main"."orders__status" = $1) AND ("main"."orders__city" = $2) GROUP BY 1 ORDER BY 1 ASC NULLS LAST LIMIT 10000
-- $1 done
-- $2 Rome
