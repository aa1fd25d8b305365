/* Which dfaiss this is. The numbers stand in the public header alone; CMake reads them there too. */
#include <dfaiss/version.h>

#define TEXT(number) #number
#define NUMBER_TEXT(number) TEXT(number)

const char *dfaiss_version(void) {
    return NUMBER_TEXT(DFAISS_VERSION_MAJOR) "." NUMBER_TEXT(DFAISS_VERSION_MINOR) "." NUMBER_TEXT(DFAISS_VERSION_PATCH);
}
