/* The version, the same as in CMakeLists.txt (a test compares them). */
#ifndef GR_CLI_VERSION_H
#define GR_CLI_VERSION_H
#define GR_VERSION "0.1.0"
#endif
