SELECT "main"."orders__status" AS "orders__status", sum("main"."orders__total") AS "orders__total" FROM "main" AS "main" GROUP BY 1 ORDER BY 2 DESC NULLS LAST, 1 ASC NULLS LAST LIMIT 10000
