/** The version of this build. The build script replaces the name by that of package.json. */
declare const FAIRLEAD_VERSION: string | undefined;

export const VERSION: string = typeof FAIRLEAD_VERSION === 'undefined' ? 'development' : FAIRLEAD_VERSION;
