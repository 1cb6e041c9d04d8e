/* A room that holds no source yet still is a library. */
typedef int gr_empty_room;
