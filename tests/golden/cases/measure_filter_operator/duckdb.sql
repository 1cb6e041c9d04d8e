SELECT sum(CASE WHEN ("orders".status = 'done') THEN "orders".amount END) AS "orders__done_total" FROM orders AS "orders" WHERE (("orders".status = 'done')) LIMIT 10000
