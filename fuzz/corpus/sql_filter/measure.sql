a.c > 5 AND a.t < 'last 3 days'
