SELECT "orders".status AS "orders__status", sum("orders".amount) AS "orders__total" FROM orders AS "orders" GROUP BY 1 ORDER BY 1 ASC NULLS LAST LIMIT 10000
