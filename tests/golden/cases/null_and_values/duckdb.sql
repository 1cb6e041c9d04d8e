SELECT CAST(coalesce(sum("main"."orders__count"), 0) AS BIGINT) AS "orders__count" FROM "main" AS "main" WHERE (("main"."orders__status" = $1) OR "main"."orders__status" IS NULL) AND (("main"."orders__city" NOT IN ($2, $3)) OR "main"."orders__city" IS NULL) LIMIT 10000
-- $1 done
-- $2 Rome
-- $3 Oslo
