SELECT "orders".status AS "orders__status", count(DISTINCT "orders".user_id) AS "orders__uniq" FROM orders AS "orders" GROUP BY 1 ORDER BY 2 DESC NULLS LAST, 1 ASC NULLS LAST LIMIT 10000
